"""LiteLLM over its three ways to such a server, whole and streamed."""

import sys

import litellm

url, model = sys.argv[1:]
for prefix, base in (("ollama_chat/", url), ("ollama/", url), ("openai/", f"{url}/v1")):
    for stream in (False, True):
        answer = litellm.completion(
            model=prefix + model,
            api_base=base,
            api_key="x",
            max_tokens=8,
            messages=[{"role": "user", "content": "Say hello."}],
            stream=stream,
        )
        text = (
            "".join(part.choices[0].delta.content or "" for part in answer)
            if stream
            else answer.choices[0].message.content
        )
        assert text, (prefix, stream, answer)
print("passed")
