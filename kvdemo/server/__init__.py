"""One model and many visitors: the service behind the page."""
