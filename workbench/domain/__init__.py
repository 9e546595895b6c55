"""Words of the product as plain values: records, statuses, events, parameters, prices. No I/O."""
