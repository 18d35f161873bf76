"""The two queries, and the same answers as SQL written by hand."""

from __future__ import annotations

PUBLIC_URL = "https://paas.example.com"
PATH = "acme/project-07/app-3"

DASHBOARD = """
query Dashboard($organization: String!) {
  organization(slug: $organization) {
    slug displayName
    projects(first: 20) { nodes {
      id slug displayName
      environments(first: 3) { nodes {
        id slug branchPattern isDefault
        instances(first: 5) { nodes {
          id url
          app { slug displayName }
          scale { replicas cpuMillis memoryMb }
          currentDeployment { id number status commitSha commitMessage finishedAt }
        } }
      } }
    } }
  }
}
"""

APP = """
query App($path: String!) {
  resource(path: $path) {
    ... on App {
      id slug displayName gitRemoteUrl createdAt
      project { slug displayName }
      instances(first: 10) { nodes { ...instance } }
      pushes(first: 5) { nodes { ref afterSha status createdAt user { name } } }
    }
  }
}
fragment instance on Instance {
  id url
  environment { slug branchPattern isDefault }
  scale { replicas cpuMillis memoryMb }
  currentRelease { number containerPort build { commitSha kind } }
  currentDeployment { id number status finishedAt creator { name } }
  deployments(first: 5) {
    totalCount
    nodes { number status trigger commitMessage createdAt }
  }
}
"""


def _time(column: str) -> str:
    pattern = '\\"YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"\\"'
    return f"to_char({column} AT TIME ZONE 'UTC', '{pattern}')"


DASHBOARD_SQL = f"""
SELECT concat('{{"organization":{{"slug":', to_json(o.slug), ',"displayName":', to_json(o.display_name),
  ',"projects":{{"nodes":[', (
    SELECT string_agg(concat('{{"id":"', p.id, '","slug":"', p.slug, '","displayName":', to_json(p.display_name),
      ',"environments":{{"nodes":[', (
        SELECT string_agg(concat('{{"id":"', e.id, '","slug":"', e.slug, '","branchPattern":',
          to_json(e.branch_pattern), ',"isDefault":', e.is_default::text, ',"instances":{{"nodes":[', (
            SELECT string_agg(concat('{{"id":"', i.id, '","url":"http://', i.hostname, '","app":{{"slug":"', a.slug,
              '","displayName":', to_json(a.display_name), '}},"scale":{{"replicas":', i.replicas,
              ',"cpuMillis":', i.cpu_millis, ',"memoryMb":', i.memory_mb, '}},"currentDeployment":',
              CASE WHEN d.id IS NULL THEN 'null' ELSE concat('{{"id":"', d.id, '","number":', d.number,
                ',"status":"', upper(d.status), '","commitSha":', to_json(d.commit_sha),
                ',"commitMessage":', to_json(d.commit_message), ',"finishedAt":', {_time("d.finished_at")}, '}}')
              END, '}}'), ',' ORDER BY i.hostname)
            FROM instance i
            JOIN app a ON a.id = i.app_id AND a.deleted_at IS NULL
            LEFT JOIN deployment d ON d.instance_id = i.id AND d.release_id = i.current_release_id
            WHERE i.environment_id = e.id), ']}}}}'), ',' ORDER BY e.slug)
        FROM environment e WHERE e.project_id = p.id AND e.deleted_at IS NULL), ']}}}}'), ',' ORDER BY p.slug)
    FROM project p WHERE p.organization_id = o.id AND p.deleted_at IS NULL), ']}}}}}}')
FROM organization o WHERE o.slug = $1
"""

APP_SQL = f"""
SELECT concat('{{"resource":{{"id":"', a.id, '","slug":"', a.slug, '","displayName":', to_json(a.display_name),
  ',"gitRemoteUrl":"{PUBLIC_URL}/git/', o.slug, '/', p.slug, '/', a.slug, '.git","createdAt":',
  {_time("a.created_at")}, ',"project":{{"slug":"', p.slug, '","displayName":', to_json(p.display_name),
  '}},"instances":{{"nodes":[', (
    SELECT string_agg(concat('{{"id":"', i.id, '","url":"http://', i.hostname, '","environment":{{"slug":"', e.slug,
      '","branchPattern":', to_json(e.branch_pattern), ',"isDefault":', e.is_default::text,
      '}},"scale":{{"replicas":', i.replicas, ',"cpuMillis":', i.cpu_millis, ',"memoryMb":', i.memory_mb,
      '}},"currentRelease":{{"number":', r.number, ',"containerPort":', r.container_port, ',"build":{{"commitSha":"',
      b.commit_sha, '","kind":"', upper(b.kind), '"}}}},"currentDeployment":{{"id":"', d.id, '","number":', d.number,
      ',"status":"', upper(d.status), '","finishedAt":', {_time("d.finished_at")}, ',"creator":{{"name":',
      to_json(u.name), '}}}},"deployments":{{"totalCount":', (
        SELECT count(*) FROM deployment n WHERE n.instance_id = i.id), ',"nodes":[', (
        SELECT string_agg(concat('{{"number":', n.number, ',"status":"', upper(n.status), '","trigger":"',
          upper(n.trigger), '","commitMessage":', to_json(n.commit_message), ',"createdAt":',
          {_time("n.created_at")}, '}}'), ',' ORDER BY n.number DESC)
        FROM (SELECT * FROM deployment n WHERE n.instance_id = i.id ORDER BY n.number DESC LIMIT 5) n), ']}}}}'),
      ',' ORDER BY i.hostname)
    FROM instance i
    JOIN environment e ON e.id = i.environment_id AND e.deleted_at IS NULL
    JOIN release r ON r.id = i.current_release_id
    JOIN build b ON b.id = r.build_id
    JOIN deployment d ON d.instance_id = i.id AND d.release_id = r.id
    JOIN user_account u ON u.id = d.user_id
    WHERE i.app_id = a.id), ']}},"pushes":{{"nodes":[', (
    SELECT string_agg(concat('{{"ref":', to_json(s.ref), ',"afterSha":"', s.after_sha, '","status":"', upper(s.status),
      '","createdAt":', {_time("s.created_at")}, ',"user":{{"name":', to_json(u.name), '}}}}'), ',' ORDER BY s.id DESC)
    FROM (SELECT * FROM push s WHERE s.app_id = a.id ORDER BY s.id DESC LIMIT 5) s
    JOIN user_account u ON u.id = s.user_id), ']}}}}}}')
FROM app a JOIN project p ON p.id = a.project_id JOIN organization o ON o.id = p.organization_id
WHERE o.slug = $1 AND p.slug = $2 AND a.slug = $3 AND a.deleted_at IS NULL
"""
