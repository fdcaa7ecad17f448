"""The one place for accent, greys, radius and scaling; pages use Radix tokens and hold no colour or pixel literals."""

from __future__ import annotations

import reflex as rx

THEME = rx.theme(appearance="inherit", accent_color="iris", gray_color="slate", radius="medium")
