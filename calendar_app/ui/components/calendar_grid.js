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

export default function CalendarGrid({ events, timeZone, hour12, onRange, onPick }) {
  const clock = { hour: "numeric", minute: "2-digit", meridiem: hour12 ? "short" : false, hour12 };
  return createElement(FullCalendar, {
    plugins,
    events,
    timeZone,
    height: narrow() ? "auto" : 720,
    initialView: narrow() ? "listWeek" : "timeGridWeek",
    scrollTime: "08:00:00",
    firstDay: 1,
    nowIndicator: true,
    navLinks: false,
    dayMaxEvents: 4,
    displayEventEnd: false,
    eventTimeFormat: clock,
    slotHeaderFormat: clock,
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
}
