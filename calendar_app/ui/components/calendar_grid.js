import "temporal-polyfill/global";
import FullCalendar from "@fullcalendar/react";
import themePlugin from "@fullcalendar/react/themes/breezy";
import dayGridPlugin from "@fullcalendar/react/daygrid";
import timeGridPlugin from "@fullcalendar/react/timegrid";
import listPlugin from "@fullcalendar/react/list";
import interactionPlugin from "@fullcalendar/react/interaction";
import "@fullcalendar/react/skeleton.css";
import "@fullcalendar/react/themes/breezy/theme.css";
import "./calendar_grid.css";
import { createElement } from "react";

const plugins = [themePlugin, dayGridPlugin, timeGridPlugin, listPlugin, interactionPlugin];
const narrow = () => window.matchMedia("(max-width: 640px)").matches;

// The reader's habits: the browser's English, and the day on which its region begins a week (0 is Sunday).
const language = () => navigator.languages.find((name) => /^en\b/i.test(name)) ?? "en-GB";
const firstDay = () => {
  try {
    const locale = new Intl.Locale(navigator.language).maximize();
    return (locale.getWeekInfo?.() ?? locale.weekInfo).firstDay % 7;
  } catch {
    return 1;
  }
};

const ICONS = { pending: "⏳", no_show: "✕", completed: "✓" };
const WORDS = {
  pending: "booking, waiting for approval",
  confirmed: "booking",
  completed: "booking, took place",
  no_show: "booking, no-show",
};

const isBooking = (event) => Boolean(event.extendedProps.status);

// The whole title, which a narrow column cuts: read to whoever cannot see it, shown on focus and hover.
function described({ event, timeText }) {
  const { status, calendar } = event.extendedProps;
  return [timeText, event.title, WORDS[status], calendar].filter(Boolean).join(", ");
}

function content(info) {
  const { status } = info.event.extendedProps;
  return createElement(
    "span",
    { className: "al-event-text" },
    info.timeText && createElement("span", { className: "al-event-time" }, info.timeText),
    status && createElement("span", { className: "al-event-icon", "aria-hidden": true }, ICONS[status] ?? "★"),
    createElement("span", { className: "al-event-title" }, info.event.title),
  );
}

function mounted(info) {
  info.el.style.setProperty("--al-color", info.event.extendedProps.color);
  info.el.setAttribute("aria-label", described(info));
  info.el.title = described(info);
}

export default function CalendarGrid({ events, timeZone, hour12, onRange, onPick }) {
  const clock = { hour: "numeric", minute: "2-digit", meridiem: hour12 ? "short" : false, hour12 };
  const calendar = createElement(FullCalendar, {
    plugins,
    events,
    timeZone,
    locale: language(),
    firstDay: firstDay(),
    height: narrow() ? 560 : 720,
    initialView: narrow() ? "timeGridDay" : "timeGridWeek",
    scrollTime: "08:00:00",
    nowIndicator: true,
    navLinks: false,
    dayMaxEvents: 4,
    displayEventEnd: false,
    slotEventOverlap: false,
    eventMinHeight: 20,
    eventShortHeight: 36,
    slotMinHeight: 26,
    eventTimeFormat: clock,
    slotHeaderFormat: clock,
    eventContent: content,
    eventClass: ({ event }) =>
      ["al-event", isBooking(event) && `al-booking al-${event.extendedProps.status}`].filter(Boolean).join(" "),
    eventDidMount: mounted,
    headerToolbar: {
      start: "title",
      end: narrow()
        ? "prev,next timeGridDay,listWeek,dayGridMonth"
        : "prev,today,next dayGridMonth,timeGridWeek,timeGridDay,listWeek",
    },
    buttons: {
      today: { text: "Today" },
      dayGridMonth: { text: "Month" },
      timeGridWeek: { text: "Week" },
      timeGridDay: { text: "Day" },
      listWeek: { text: "List" },
    },
    noEventsContent: "Nothing in this week.",
    datesSet: (info) => onRange?.(info.startStr, info.endStr),
    eventClick: (info) => {
      info.jsEvent.preventDefault();
      onPick?.(info.event.id);
    },
  });
  return createElement("div", { className: "al-time-grid" }, calendar);
}
