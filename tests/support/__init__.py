"""What tests stand on: real servers, migrated databases, and the outside world as it is over HTTP.

Where a test's invoices come from, from the cheapest to the most real:

- `desk`: one invoice and its books in memory, for the rules of settlement; no database.
- `books`: rows through the models, for what the inbox does to them; `tests.schema.rows`, for lists and pages.
- `seed`: an integration with sealed secrets, also in a database that another process serves.
- `business`: somebody who uses the API in this process, and their Stripe account at the simulator.
- `house`: the same over HTTP, of the product as a process; one server for all tests of a worker.
- `shop`: a product that Stripe posts to by the hundred, and an audit of what was kept.

`app` starts a product of the test's own: each takes 2 s of CPU, so a module shares one where it can.
"""
