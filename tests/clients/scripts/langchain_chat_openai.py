"""LangChain's ChatOpenAI: asked whole, in a batch, and for an object of a schema."""

import sys
from typing import Literal

from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

url, model = sys.argv[1:]


class Colour(BaseModel):
    """One of three, so that a small model ends in time."""

    name: Literal["red", "green", "blue"]


chat = ChatOpenAI(
    model=model,
    base_url=f"{url}/v1",
    api_key=SecretStr("x"),
    temperature=0,
    max_completion_tokens=60,
    max_retries=0,
)
assert chat.invoke("Say hello.").content
assert len(chat.batch(["One.", "Two.", "Three."])) == 3
structured = chat.with_structured_output(Colour, method="json_schema")
assert isinstance(structured.invoke("Name one colour, in a word."), Colour)
print("passed")
