"""Microsoft Graph v1.0 calendars (https://learn.microsoft.com/graph/api/resources/calendar) and Entra ID sign-in."""
