"""The pocket scorer: small, bundled with its weights, for laptops and tests."""
