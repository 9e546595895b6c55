// The npm package `@ai-sdk/black-forest-labs`. What is given to a picture is what it takes, but
// that images are in base64.

import { answer, installed } from "../javascript.mjs";

const { createBlackForestLabs } = installed("@ai-sdk/black-forest-labs");
const imageOf = (data) => ({ type: "file", mediaType: "image/png", data });

await answer(({ address, key }) => {
  const provider = createBlackForestLabs({ baseURL: address, apiKey: key, pollIntervalMillis: 5 });
  return async ({ model, files = [], mask, options = {}, ...more }) => {
    const { images, warnings, providerMetadata } = await provider.image(model).doGenerate({
      n: 1,
      files: files.map(imageOf),
      mask: mask && imageOf(mask),
      providerOptions: { blackForestLabs: options },
      ...more,
    });
    const [about] = providerMetadata.blackForestLabs.images;
    return { picture: Buffer.from(images[0]).toString("base64"), about, warnings };
  };
});
