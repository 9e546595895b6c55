/** What is wrong, below a field or in place of what was asked for. */
export function Problem({ id, text }: { id: string; text: string }) {
  return text ? <p class="wbx-problem" id={id} role="alert" data-testid="field-error">{text}</p> : null;
}
