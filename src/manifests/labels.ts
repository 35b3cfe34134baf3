/** On every object that Cloister makes. */
export const LABELS = { 'app.kubernetes.io/name': 'cloister', 'app.kubernetes.io/managed-by': 'cloister' } as const;
