"""Which providers there are, and the only place that turns a provider's name into its code."""
