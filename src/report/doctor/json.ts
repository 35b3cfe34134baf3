import { countByLevel } from '../../doctor/examine.ts';
import type { DoctorReport } from './doctor-report.ts';

/** The report for programs, with every answer and every object. */
export function printDoctorJson({ cluster, answers }: DoctorReport): string {
  const checks = answers.map(({ check, level, profile, objects, message, remedy }) => ({
    id: check,
    answer: level,
    ...(profile !== undefined && { profile }),
    objects,
    message,
    remedy,
  }));
  const report = { apiVersion: 'cloister.dev/v1alpha1', kind: 'DoctorReport', cluster, summary: countByLevel(answers), checks };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}
