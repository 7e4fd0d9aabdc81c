import assert from "node:assert/strict";
import { test } from "node:test";

import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { client, GREEDY, QUESTION } from "./hub.js";

const openai = client();

const City = z.object({
  name: z.enum(["Lyon", "Paris", "Nice"]),
  in_france: z.boolean(),
});

test("a chat's answer is parsed by its zod schema", async () => {
  const completion = await openai.chat.completions.parse({
    ...GREEDY,
    messages: QUESTION,
    max_tokens: 60,
    response_format: zodResponseFormat(City, "city"),
  });

  City.parse(completion.choices[0].message.parsed);
});

test("a streamed answer is parsed by its zod schema", async () => {
  const stream = openai.chat.completions.stream({
    ...GREEDY,
    messages: QUESTION,
    max_tokens: 60,
    response_format: zodResponseFormat(City, "city"),
  });

  City.parse((await stream.finalChatCompletion()).choices[0].message.parsed);
});

test("a response is parsed by its zod schema", async () => {
  const response = await openai.responses.parse({
    ...GREEDY,
    input: QUESTION,
    max_output_tokens: 60,
    text: { format: zodTextFormat(City, "city") },
  });

  City.parse(response.output_parsed);
});

test("any JSON Schema is kept to", async () => {
  const schema = { type: "object", properties: { n: { enum: [1, 2] } }, required: ["n"], additionalProperties: false };
  const completion = await openai.chat.completions.create({
    ...GREEDY,
    messages: QUESTION,
    max_tokens: 30,
    response_format: { type: "json_schema", json_schema: { name: "number", schema } },
  });

  assert.ok([1, 2].includes(JSON.parse(completion.choices[0].message.content).n));
});
