"""What tests stand on: real servers, migrated databases, and the outside world as it is over HTTP."""
