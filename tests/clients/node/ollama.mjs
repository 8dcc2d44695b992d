import { Ollama } from "ollama";
import assert from "node:assert/strict";

const [url, model] = process.argv.slice(2);
const client = new Ollama({ host: url });
const messages = [{ role: "user", content: "Say hello." }];
const options = { temperature: 0, num_predict: 8 };

assert.ok((await client.list()).models.some((found) => found.model.startsWith(model)));
assert.ok((await client.show({ model })).capabilities.includes("completion"));
const whole = await client.chat({ model, messages, options });
assert.equal(whole.done_reason, "length");
let text = "";
for await (const part of await client.chat({ model, messages, options, stream: true })) text += part.message.content;
assert.equal(text, whole.message.content);

const endless = await client.generate({ model, prompt: "Tell a long story.", stream: true, options: { num_predict: 2000 } });
await assert.rejects(async () => {
  for await (const _ of endless) endless.abort();
}, (error) => error.name === "AbortError");
assert.ok((await client.generate({ model, prompt: "Hi", options })).response);
console.log("passed");
