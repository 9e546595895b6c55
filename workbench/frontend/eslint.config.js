// Types are tsc's business (npm run check); this finds what types do not.
import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const html = {
  selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
  message: "Text nodes only: prompts and titles are hostile.",
};

// Where words stand that people read: between tags, in attributes and properties that are shown or
// said, in messages; and any sentence, wherever it stands. Names of letters and keys ("T", "F2")
// are no words; lines for the console begin with "image-workbench:".
const SHOWN = "/^(aria-(label|description|valuetext|roledescription)|title|placeholder|alt|label|hint|text|action|leave|shortcut)$/";
const WORD = "/\\p{L}{2}/u";
const SENTENCE = "/^\\p{Lu}[\\p{L}’']* \\p{Ll}|\\p{L} \\p{L}.*[.!?…]$/u";
const PLACES = [
  `JSXAttribute[name.name=${SHOWN}] > *`,
  `JSXAttribute[name.name=${SHOWN}] > JSXExpressionContainer > *`,
  ":matches(JSXElement, JSXFragment) > JSXExpressionContainer > *",
  `Property:matches([key.name=${SHOWN}], [key.value=${SHOWN}]) > *.value`,
  "CallExpression[callee.property.name=/^(toast|say)$/] > *.arguments:first-child",
];
/** The value at a place, one of the two that it is chosen from, or a text with gaps. */
const valuesAt = (place) => [
  `${place}:matches(Literal[value=${WORD}])`,
  `${place}:matches(ConditionalExpression, LogicalExpression) > Literal[value=${WORD}]:not(.test)`,
  `${place}:matches(TemplateLiteral) > TemplateElement[value.raw=${WORD}]`,
];
const words = [
  `JSXText[value=${WORD}]`,
  ...PLACES.flatMap(valuesAt),
  `Literal[value=${SENTENCE}]`,
  `TemplateElement[value.raw=${SENTENCE}]`,
].map((selector) => ({
  selector,
  message: "Words that people read are in src/texts*.ts: give them a key there and write t(key).",
}));

export default defineConfig(
  globalIgnores(["node_modules/"]),
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strict],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // An error that nobody waits for is an error that nobody sees.
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: false }],
      "@typescript-eslint/no-dynamic-delete": "off",
      // Checked by tsc (noUnusedLocals), which knows more.
      "@typescript-eslint/no-unused-vars": "off",
      // `id!` beside a check reads better than a second check (noUncheckedIndexedAccess).
      "@typescript-eslint/no-non-null-assertion": "off",
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML"].map(
          (property) => ({ property, message: "Text nodes only: prompts and titles are hostile." }),
        ),
      ],
      "no-restricted-syntax": ["error", html],
      "no-restricted-globals": ["error", "alert", "confirm", "prompt", "event", "name"],
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-console": ["error", { allow: ["error", "warn", "debug"] }],
    },
  },
  {
    files: ["src/**"],
    ignores: ["src/texts*.ts"],
    rules: { "no-restricted-syntax": ["error", html, ...words] },
  },
  {
    files: ["dev/**", "**/*.mjs", "*.config.*"],
    languageOptions: { globals: { Buffer: "readonly", console: "readonly", process: "readonly" } },
    rules: { "no-console": "off" },
  },
);
