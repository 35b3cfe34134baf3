/** Kubernetes' quantities, as far as memory needs them. Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */

const QUANTITY = /^\+?(?<number>\d+(?:\.\d*)?|\.\d+)(?<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/;

const MULTIPLIERS: ReadonlyMap<string, number> = new Map([
  ...['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((suffix, index) => [suffix, 1024 ** (index + 1)] as const),
  ...['k', 'M', 'G', 'T', 'P', 'E'].map((suffix, index) => [suffix, 1000 ** (index + 1)] as const),
  ...['m', 'u', 'n'].map((suffix, index) => [suffix, 1000 ** -(index + 1)] as const),
]);

/** The API server holds quantities in 64 bits. */
const MAX_BYTES = 2 ** 63;

/** Bytes of a quantity; undefined: it is no quantity, or no limit (the API server treats zero as no limit). */
export function bytesOf(quantity: unknown): number | undefined {
  // A manifest may hold a bare number, which the API server reads as text.
  const text = typeof quantity === 'number' ? String(quantity) : quantity;
  const { number, suffix = '' } = (typeof text === 'string' ? QUANTITY.exec(text)?.groups : undefined) ?? {};
  if (number === undefined) return undefined;
  const multiplier = MULTIPLIERS.get(suffix);
  const bytes = multiplier === undefined ? Number(number + suffix) : Number(number) * multiplier;
  return bytes > 0 && bytes < MAX_BYTES ? bytes : undefined;
}

const MIB = 1024 ** 2;
const SUFFIXES = ['Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** In whole mebibytes, rounded down, with the largest suffix that keeps it whole: as the API server writes it. */
export function quantityOf(bytes: number): string {
  let amount = Math.floor(bytes / MIB);
  let unit = 0;
  while (amount > 0 && amount % 1024 === 0 && unit < SUFFIXES.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${amount}${SUFFIXES[unit]}`;
}
