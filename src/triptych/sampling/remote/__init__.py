"""Pages made by a server: its address in the place of a backbone's name, asked by OpenAI's image API."""
