"""Ready stack programs, by provider. Plain Pulumi: nothing here knows alma."""
