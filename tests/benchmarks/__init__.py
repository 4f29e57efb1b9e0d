"""What alma costs, measured beside what people would otherwise do: `nox -s bench`."""
