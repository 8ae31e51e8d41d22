"""The daemon's doors: HTTP on TCP and `admin.sock`, the order stream on `orders.sock`. Decoding is validation."""
