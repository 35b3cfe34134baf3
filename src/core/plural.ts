/** @returns the count with its noun, such as `1 pod` or `2 pods` */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
