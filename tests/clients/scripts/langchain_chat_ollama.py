"""LangChain's ChatOllama: validated at once, asked whole, in a batch, and streamed."""

import sys

from langchain_ollama import ChatOllama

url, model = sys.argv[1:]
chat = ChatOllama(
    model=model, base_url=url, temperature=0, num_predict=8, validate_model_on_init=True
)
answer = chat.invoke("Say hello.")
assert answer.content
assert answer.usage_metadata is not None
assert answer.usage_metadata["output_tokens"] == 8, answer.usage_metadata
assert all(part.content for part in chat.batch(["One.", "Two.", "Three."]))
assert "".join(str(part.content) for part in chat.stream("Say hello.")) == answer.content
print("passed")
