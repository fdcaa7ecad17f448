"""What customers use: documents over plain HTTP, rendered on the server.

A page holds no state but what stands in its address, in its form and in the database; nothing of a visitor is kept in
Redis. So a page can be loaded again, opened twice, embedded and used without JavaScript, and every request can be
repeated. ``app`` puts the routes together; ``site`` is one request as the routes see it; ``static/site.js`` improves
what already works.
"""
