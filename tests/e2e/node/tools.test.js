import assert from "node:assert/strict";
import { test } from "node:test";

import { zodFunction } from "openai/helpers/zod";
import { z } from "zod";

import { client, GREEDY } from "./hub.js";

const openai = client();

const QUESTION = [{ role: "user", content: "What is the weather in Paris?" }];
const Place = z.object({ city: z.string().max(40), unit: z.enum(["celsius", "fahrenheit"]) });
const WEATHER = zodFunction({
  name: "get_weather",
  description: "The present weather of a city",
  parameters: Place,
});
const FORCED = { type: "function", function: { name: "get_weather" } };

test("a forced call is parsed, and its result answered", async () => {
  const first = await openai.chat.completions.parse({
    ...GREEDY,
    messages: QUESTION,
    tools: [WEATHER],
    tool_choice: FORCED,
  });
  const { message, finish_reason: reason } = first.choices[0];
  const [call] = message.tool_calls;
  assert.equal(reason, "tool_calls");
  Place.parse(call.function.parsed_arguments);

  const result = { role: "tool", tool_call_id: call.id, content: "Rain, 14 degrees." };
  const second = await openai.chat.completions.create({
    ...GREEDY,
    messages: [...QUESTION, message, result],
    tools: [WEATHER],
    tool_choice: "none",
    max_tokens: 40,
  });
  assert.ok(second.choices[0].message.content);
});

test("a call streams piece by piece", async () => {
  const stream = openai.chat.completions.stream({
    ...GREEDY,
    messages: QUESTION,
    tools: [WEATHER],
    tool_choice: "required",
  });

  const pieces = [];
  stream.on("tool_calls.function.arguments.delta", (event) => pieces.push(event.arguments_delta));
  const [call] = (await stream.finalChatCompletion()).choices[0].message.tool_calls;

  Place.parse(JSON.parse(call.function.arguments));
  assert.equal(pieces.join(""), call.function.arguments);
  assert.ok(pieces.length > 1);
});

test("the runner calls the function and comes to an end", async () => {
  const asked = [];
  const tool = zodFunction({
    name: "get_weather",
    description: "The present weather of a city",
    parameters: Place,
    function: (place) => {
      asked.push(place);
      return "Rain, 14 degrees.";
    },
  });
  const runner = openai.chat.completions.runTools({
    ...GREEDY,
    messages: QUESTION,
    tools: [tool],
    tool_choice: FORCED, // the runner stops after a call that was forced by name
    max_tokens: 60,
  });

  await runner.done();

  Place.parse(asked[0]);
  assert.equal(await runner.finalFunctionToolCallResult(), "Rain, 14 degrees.");
});
