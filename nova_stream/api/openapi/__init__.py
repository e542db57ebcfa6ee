"""What the OpenAPI document says beside the routes: examples, responses, links."""
