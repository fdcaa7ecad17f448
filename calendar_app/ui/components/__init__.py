"""Parts that several pages share; none of them knows a service."""
