// The npm package `stability-ai`, whose address is fixed: its HTTP client is told another one.

import { createRequire } from "node:module";
import { readFile, rm } from "node:fs/promises";
import { answer, installed } from "../javascript.mjs";

const THEIRS = "https://api.stability.ai";
const { default: StabilityAI } = installed("stability-ai");
const axios = createRequire(installed.resolve("stability-ai"))("axios");

await answer(({ address, key }) => {
  axios.interceptors.request.use((config) => {
    if (!config.url.startsWith(THEIRS)) throw new Error(`It asks for ${config.url}`);
    return { ...config, url: config.url.replace(THEIRS, address) };
  });
  const client = new StabilityAI(key);
  return async ({ name, given }) => {
    const made = await name.split(".").reduce((inside, step) => inside[step], client)(...given);
    if (made.filepath === undefined) return made;
    const picture = await readFile(made.filepath, "base64");
    await rm(made.filepath);
    return { ...made, picture };
  };
});
