// The hub that these tests call, as tests/node.py names it in the environment.

import OpenAI from "openai";

export const MODEL = process.env.HUB_MODEL;
export const EMBEDDER = process.env.HUB_EMBEDDER;

export const QUESTION = [{ role: "user", content: "What is the capital of France?" }];
export const GREEDY = { model: MODEL, temperature: 0 };

export function client(options = {}) {
  const baseURL = `${process.env.HUB_URL}/v1`;
  return new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0, ...options });
}
