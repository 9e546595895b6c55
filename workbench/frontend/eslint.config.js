// Types are tsc's business (npm run check); this finds what types do not.
import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

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
      "no-restricted-syntax": [
        "error",
        {
          selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
          message: "Text nodes only: prompts and titles are hostile.",
        },
      ],
      "no-restricted-globals": ["error", "alert", "confirm", "prompt", "event", "name"],
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-console": ["error", { allow: ["error", "warn", "debug"] }],
    },
  },
  {
    files: ["dev/**", "**/*.mjs", "*.config.*"],
    languageOptions: { globals: { Buffer: "readonly", console: "readonly", process: "readonly" } },
    rules: { "no-console": "off" },
  },
);
