"""Chat for lbproto: streamed answers over the user's own data, with any model or none."""
