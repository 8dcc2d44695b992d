import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import assert from "node:assert/strict";

const [url, model] = process.argv.slice(2);
const provider = createOpenAICompatible({ name: "npurun", baseURL: `${url}/v1`, includeUsage: true });
const request = { model: provider(model), prompt: "Say hello.", temperature: 0, maxOutputTokens: 8, maxRetries: 0 };

const whole = await generateText(request);
assert.ok(whole.text);
assert.equal(whole.finishReason, "length");
assert.equal(whole.usage.outputTokens, 8);
let text = "";
const stream = streamText(request);
for await (const part of stream.textStream) text += part;
assert.equal(text, whole.text);
assert.equal((await stream.usage).outputTokens, 8);
console.log("passed");
