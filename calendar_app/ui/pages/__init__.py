"""One module per page: the state it keeps on the server, and what it shows."""
