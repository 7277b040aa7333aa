"""What tests stand on: real servers, migrated databases, and the outside world as it is over HTTP.

Where a test's invoices come from, from the cheapest to the most real:

- `desk`: one invoice and its books in memory, for the rules of settlement; no database.
- `books`: rows through the models, for what the inbox does to them; `rows`, for lists and pages.
- `seed`: an integration with sealed secrets, also in a database that another process serves.
- `caller`: somebody with an API key who asks the schema in this process; `callers` has fixtures of one with each scope,
  with services and a database that a module shares.
- `business`: somebody who uses the API in this process, and their Stripe account at the simulator; `office` has its
  fixtures, and those of an open database and an inbox.
- `house`: the same over HTTP, of the product as a process; one server for all tests of a worker.
- `shop`: a product that Stripe posts to by the hundred, and an audit of what was kept.

`app` starts a product of the test's own: forked from one that is `loaded` it takes 0.3 s of CPU, with two workers 5 s,
so a module shares one where it can. A database costs 0.04 s on PostgreSQL, and a copy of a file on SQLite.
"""
