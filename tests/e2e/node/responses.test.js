import assert from "node:assert/strict";
import { test } from "node:test";

import { NotFoundError } from "openai";

import { client, GREEDY } from "./hub.js";

const openai = client();
const ASKED = { ...GREEDY, input: "What is the capital of France?", max_output_tokens: 40 };
const TOOL = {
  type: "function",
  name: "get_weather",
  description: "The weather in a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string", maxLength: 20 } },
    required: ["city"],
    additionalProperties: false,
  },
  strict: true,
};

test("a response is answered, kept, gone on from and deleted", async () => {
  const first = await openai.responses.create(ASKED);
  assert.match(first.output_text, /Paris/);
  assert.equal((await openai.responses.retrieve(first.id)).output_text, first.output_text);

  const second = await openai.responses.create({
    ...ASKED,
    input: "And of Italy?",
    previous_response_id: first.id,
  });
  assert.ok(second.usage.input_tokens > first.usage.input_tokens);
  const inputs = await openai.responses.inputItems.list(first.id);
  assert.equal(inputs.data.length, 1);

  await openai.responses.delete(first.id);
  await assert.rejects(openai.responses.retrieve(first.id), NotFoundError);
});

test("a response streams, event by event", async () => {
  const kinds = [];
  let text = "";
  for await (const event of await openai.responses.create({ ...ASKED, stream: true })) {
    kinds.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }

  assert.match(text, /Paris/);
  assert.equal(kinds[0], "response.created");
  assert.equal(kinds.at(-1), "response.completed");
});

test("the stream helper assembles the response", async () => {
  const stream = openai.responses.stream(ASKED);

  assert.match((await stream.finalResponse()).output_text, /Paris/);
});

test("a forced function is called", async () => {
  const response = await openai.responses.create({
    ...ASKED,
    input: "How is the weather in Paris?",
    tools: [TOOL],
    tool_choice: { type: "function", name: "get_weather" },
    max_output_tokens: 60,
  });

  const call = response.output.at(-1);
  assert.equal(call.type, "function_call");
  assert.deepEqual(Object.keys(JSON.parse(call.arguments)), ["city"]);
});
