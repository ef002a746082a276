"""What a carrier tells about a leg, in its own words: webhooks as they are sent, and what its API lists later."""
