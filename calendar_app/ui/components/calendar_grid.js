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
import { createElement, useRef } from "react";

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

function content(info) {
  const { status, calendar } = info.event.extendedProps;
  // What colour and icon say to the eye.
  const spoken = [WORDS[status], calendar].filter(Boolean).join(", ");
  return createElement(
    "span",
    { className: "al-event-text" },
    info.timeText && createElement("span", { className: "al-event-time" }, info.timeText),
    status && createElement("span", { className: "al-event-icon", "aria-hidden": true }, ICONS[status] ?? "★"),
    createElement("span", { className: "al-event-title" }, info.event.title),
    spoken && createElement("span", { className: "visually-hidden" }, `, ${spoken}`),
  );
}

// What takes the time of the same people, of what this calendar shows.
function inTheWay(events, event, start, end) {
  const { people } = event.extendedProps;
  return events.filter(
    (other) =>
      other.id !== event.id &&
      other.extendedProps.busy &&
      other.start < end &&
      other.end > start &&
      other.extendedProps.people?.some((person) => people.includes(person)),
  );
}

function mounted(info) {
  info.el.dataset.entry = info.event.id;
  info.el.style.setProperty("--al-color", info.event.extendedProps.color);
}

const MINUTE = 60_000;
// What an arrow key moves: the start and the end of an entry, in minutes or days; with Shift only the end.
const STEPS = {
  ArrowUp: { minutes: -15 },
  ArrowDown: { minutes: 15 },
  ArrowLeft: { days: -1 },
  ArrowRight: { days: 1 },
};

export default function CalendarGrid({ events, timeZone, hour12, onRange, onPick, onMove, onNew }) {
  const clock = { hour: "numeric", minute: "2-digit", meridiem: hour12 ? "short" : false, hour12 };
  const calendar = useRef(null);
  const says = useRef(null);
  const stepping = useRef(null);

  const say = (text) => {
    if (says.current && says.current.textContent !== text) says.current.textContent = text;
  };
  const when = (start, end) =>
    calendar.current
      .getApi()
      .formatRange(start, end, { weekday: "short", day: "numeric", month: "short", ...clock });
  const told = (event, start, end) => {
    const found = inTheWay(calendar.current.getApi().getEvents(), event, start, end).map(
      (other) => `Busy: ${other.title}, ${when(other.start, other.end)}`,
    );
    say([when(start, end), ...found].join(". "));
  };
  const ask = ({ event, revert }) => {
    const { booking } = event.extendedProps;
    const [start, end] = [event.startStr, event.endStr];
    revert();
    say("");
    onMove?.(booking, start, end);
  };

  const back = () => {
    const { event, start, end } = stepping.current;
    stepping.current = null;
    event.setDates(start, end);
  };
  const step = (key, shift, event) => {
    const by = STEPS[key];
    if (stepping.current?.event.id !== event.id) stepping.current = { event, start: event.start, end: event.end };
    if (!shift) event.moveDates(by);
    else if (by.minutes && event.end.getTime() + by.minutes * MINUTE > event.start.getTime()) event.moveEnd(by);
    told(event, event.start, event.end);
    // Drawn anew, the entry is another element.
    requestAnimationFrame(() => document.querySelector(`[data-entry="${CSS.escape(event.id)}"]`)?.focus());
  };
  const keyDown = (pressed) => {
    const id = pressed.target.dataset?.entry;
    const event = id && calendar.current?.getApi().getEventById(id);
    if (!event?.extendedProps.booking || !event.startEditable || event.allDay) return;
    if (STEPS[pressed.key]) {
      pressed.preventDefault();
      step(pressed.key, pressed.shiftKey, event);
    } else if (stepping.current && (pressed.key === "Enter" || pressed.key === "Escape")) {
      pressed.preventDefault();
      pressed.stopPropagation();
      if (pressed.key === "Enter") ask({ event, revert: back });
      else {
        back();
        say("Left where it was.");
      }
    }
  };

  const grid = createElement(FullCalendar, {
    ref: calendar,
    plugins,
    events,
    timeZone,
    locale: language(),
    firstDay: firstDay(),
    height: narrow() ? "auto" : 720,
    views: narrow() ? { timeGridDay: { height: 560 } } : {},
    initialView: narrow() ? "listDay" : "timeGridWeek",
    // In a week FullCalendar scrolls too far, by the height of its heads: eight o’clock is on top.
    scrollTime: narrow() ? "08:00:00" : "06:45:00",
    nowIndicator: true,
    navLinks: false,
    dayMaxEvents: 4,
    displayEventEnd: false,
    slotEventOverlap: false,
    eventMinHeight: 20,
    eventShortHeight: 36,
    slotMinHeight: 26,
    snapDuration: "00:15:00",
    eventTimeFormat: clock,
    slotHeaderFormat: clock,
    eventContent: content,
    eventClass: ({ event }) =>
      ["al-event", isBooking(event) && `al-booking al-${event.extendedProps.status}`].filter(Boolean).join(" "),
    eventDidMount: mounted,
    eventAllow: ({ start, end, allDay }, event) => {
      if (event && !allDay) told(event, start, end);
      return !allDay;
    },
    selectable: true,
    select: ({ startStr, endStr, allDay, view }) => {
      view.calendar.unselect();
      const [start, end] = allDay ? [`${startStr}T09:00:00`, `${startStr}T09:30:00`] : [startStr, endStr];
      onNew?.(start, end);
    },
    eventDrop: ask,
    eventResize: ask,
    eventDragStop: () => say(""),
    headerToolbar: {
      start: "title",
      end: narrow()
        ? "prev,next listDay,timeGridDay,listWeek,dayGridMonth"
        : "prev,today,next dayGridMonth,timeGridWeek,timeGridDay,listWeek",
    },
    buttons: {
      today: { text: "Today" },
      dayGridMonth: { text: "Month" },
      timeGridWeek: { text: "Week" },
      timeGridDay: { text: "Day" },
      listDay: { text: "List" },
      listWeek: { text: narrow() ? "Week" : "List" },
    },
    noEventsContent: "Nothing here.",
    datesSet: (info) => onRange?.(info.startStr, info.endStr),
    eventClick: (info) => {
      info.jsEvent.preventDefault();
      onPick?.(info.event.id);
    },
  });
  return createElement(
    "div",
    { className: "al-time-grid", onKeyDownCapture: keyDown },
    grid,
    createElement("p", { ref: says, className: "al-says", role: "status" }),
  );
}
