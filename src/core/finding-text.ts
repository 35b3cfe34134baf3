import { printPath } from './path.ts';
import { printable } from './printable.ts';
import type { Finding } from './rules/rule.ts';

/** `spec.containers[0].image (container "web")`: where a finding is, on one line. */
export function printPlace({ path, container }: Pick<Finding, 'path' | 'container'>): string {
  const suffix = container === undefined ? '' : ` (container "${printable(container)}")`;
  return `${printable(printPath(path))}${suffix}`;
}
