"""The functional core: values in, values out; no clock, socket, environment or randomness."""
