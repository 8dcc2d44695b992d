"""Endpoints as sides of a bench: anything that answers `POST /v1/chat/completions` with server-sent events, or Ollama's
`POST /api/chat` with lines of JSON.

How it is measured, and what that means:

- *The host's clock* begins when the request's first byte goes out; connecting, and TLS, come before. The first token is
  the first event with text (of the answer, of a thought, of a call), the last one the last such event; an answer that
  ended by itself ends with the event that says so, since endpoints count the token that ended it.
- *Tokens* are those that the endpoint counts. Events are not counted: several tokens may share one (this program's own
  server hands on what comes within 50 ms together). Where the first event holds several, the rate by the host's clock
  is that much too high, unless the endpoint says how many they were, as llama-server does.
- *The engine's clock* is what the endpoint says of itself: llama-server's `timings`, which this program's server has
  too, or Ollama's durations. OpenAI's dialect has nothing of the kind.
- *The cache of the prompt* cannot be emptied from here. llama-server and this program's server are asked to leave it
  alone; of others is recorded what they tell, and a note says so.
"""

from npurun_tui.bench.endpoint.address import Address, address_of, is_address
from npurun_tui.bench.endpoint.target import EndpointTarget

__all__ = ["Address", "EndpointTarget", "address_of", "is_address"]
