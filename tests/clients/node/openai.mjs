import OpenAI from "openai";
import assert from "node:assert/strict";

const [url, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "x", maxRetries: 0 });
const messages = [{ role: "user", content: "Say hello." }];

const whole = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 8 });
assert.equal(whole.usage.completion_tokens, 8);
assert.equal(whole.choices[0].finish_reason, "length");

let text = "";
const stream = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 8, stream: true });
for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
assert.equal(text, whole.choices[0].message.content);

const six = await Promise.all(
  Array.from({ length: 6 }, () => client.chat.completions.create({ model, messages, max_tokens: 4 })),
);
assert.ok(six.every((answer) => answer.choices[0].message.content));
await assert.rejects(
  client.chat.completions.create({ model: "nothing-of-this-name", messages }),
  (error) => error.status === 404,
);
console.log("passed");
