"""LlamaIndex's Ollama: a chat and a streamed completion."""

import sys

from llama_index.core.llms import ChatMessage
from llama_index.llms.ollama import Ollama

url, model = sys.argv[1:]
client = Ollama(
    model=model, base_url=url, request_timeout=120, additional_kwargs={"num_predict": 8}
)
assert client.chat([ChatMessage(role="user", content="Say hello.")]).message.content
assert "".join(part.delta or "" for part in client.stream_complete("Say hello."))
print("passed")
