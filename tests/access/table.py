"""Who may do what: the written table. ``docs/access.md`` says the same in words.

A row has a letter for each of ``people.WHO``:

    !   not without a token, or a session       -   forbidden, and told why
    .   it is not there, exactly as what        +   done, or shown; or refused for the state of
        never was                                   the thing, which only who may is told

Each is tried on acme/storefront/web in staging, and where it matters in production, which is kept for admins
and owners: ``$Protected…``. What has no row fails the tests.
"""

# fmt: off
MUTATIONS = [
    #                      anonymous, stranger, viewer, developer, admin, owner, member, ci, operator
    ("organizationCreate",  "!++++++-+", '(input: {slug: "new"})'),
    ("organizationUpdate",  "!.--++--+", '(id: "$Organization", input: {displayName: "New"})'),
    ("organizationDelete",  "!.---+--+", '(id: "$Organization", confirm: "acme")'),
    ("memberSet",           "!.--++--+", '(input: {organizationId: "$Organization", user: "stranger", role: VIEWER})'),
    ("memberSet",           "!.---+--+", '(input: {organizationId: "$Organization", user: "viewer", role: OWNER})'),
    # A viewer who leaves.
    ("memberRemove",        "!.+-++--+", '(organizationId: "$Organization", user: "viewer")'),
    ("memberInvite",        "!.--++--+", '(input: {organizationId: "$Organization", email: "new@example.com", role: VIEWER})'),
    ("memberInvite",        "!.---+--+", '(input: {organizationId: "$Organization", email: "new@example.com", role: OWNER})'),
    ("memberInvite",        "!.--++--+", '(input: {organizationId: "$Organization", projectId: "$Project", email: "new@example.com", role: VIEWER})'),
    ("invitationRevoke",    "!.--++--+", '(id: "$Invitation")'),
    ("invitationAccept",    "!......-.", '(secret: "of none")'),
    ("projectMemberSet",    "!.--++--+", '(input: {projectId: "$Project", user: "viewer", role: ADMIN})'),
    ("projectMemberSet",    "!.---+--+", '(input: {projectId: "$Project", user: "viewer", role: OWNER})'),
    # A member who gives it up.
    ("projectMemberRemove", "!.--+++-+", '(projectId: "$Project", user: "member")'),
    ("projectCreate",       "!.--++--+", '(input: {organizationId: "$Organization", slug: "new"})'),
    ("projectUpdate",       "!.--++--+", '(id: "$Project", input: {displayName: "New"})'),
    ("projectDelete",       "!.--++--+", '(id: "$Project")'),
    ("projectRestore",      "!.--++--+", '(id: "$Project")'),
    ("previewRuleSet",      "!.-++++-+", '(input: {projectId: "$Project", branchPattern: "pr-*", sourceEnvironmentId: "$Environment"})'),
    ("previewRuleSet",      "!.--++-.+", '(input: {projectId: "$Project", branchPattern: "pr-*", sourceEnvironmentId: "$ProtectedEnvironment"})'),
    ("previewRuleUnset",    "!.-++++-+", '(projectId: "$Project")'),
    ("environmentCreate",   "!.-++++-+", '(input: {projectId: "$Project", slug: "new", branchPattern: "*"})'),
    ("environmentUpdate",   "!.-++++-+", '(id: "$Environment", input: {branchPattern: "main"})'),
    ("environmentUpdate",   "!.--++-.+", '(id: "$ProtectedEnvironment", input: {branchPattern: "other"})'),
    ("environmentProtect",  "!.--++--+", '(id: "$Environment", roles: [DEVELOPER])'),
    ("environmentProtect",  "!.--++-.+", '(id: "$ProtectedEnvironment", roles: null)'),
    ("environmentDelete",   "!.--++--+", '(id: "$Environment", confirm: "staging")'),
    ("environmentDelete",   "!.--++-.+", '(id: "$ProtectedEnvironment", confirm: "production")'),
    ("appCreate",           "!.-++++-+", '(input: {projectId: "$Project", slug: "new"})'),
    ("appUpdate",           "!.-++++-+", '(id: "$App", input: {containerPort: 81})'),
    ("appDelete",           "!.--++--+", '(id: "$App", confirm: "web")'),
    ("envVarsSet",          "!.-++++-+", '(instanceId: "$Instance", input: {vars: [{name: "A", value: "1"}]})'),
    ("envVarsSet",          "!.--++-.+", '(instanceId: "$ProtectedInstance", input: {vars: [{name: "A", value: "1"}]})'),
    ("envVarsUnset",        "!.-++++-+", '(instanceId: "$Instance", names: ["KEY"])'),
    ("envVarsUnset",        "!.--++-.+", '(instanceId: "$ProtectedInstance", names: ["KEY"])'),
    ("scaleUpdate",         "!.-++++-+", '(instanceId: "$Instance", input: {replicas: 2})'),
    ("scaleUpdate",         "!.--++-.+", '(instanceId: "$ProtectedInstance", input: {replicas: 2})'),
    ("instanceApply",       "!.-++++++", '(id: "$Instance")'),
    ("instanceApply",       "!.--++-.+", '(id: "$ProtectedInstance")'),
    ("branchDeploy",        "!.-++++++", '(appId: "$App", branch: "staging")'),
    ("branchDeploy",        "!.--++--+", '(appId: "$App", branch: "main")'),
    # Where nothing is deployed, nothing is to be refused.
    ("branchDeploy",        "!.-++++++", '(appId: "$App", branch: "nowhere")'),
    ("deploymentCreate",    "!.-++++++", '(input: {instanceId: "$Instance", ref: "main"})'),
    ("deploymentCreate",    "!.--++-.+", '(input: {instanceId: "$ProtectedInstance", ref: "main"})'),
    ("deploymentCancel",    "!.-++++++", '(id: "$Deployment")'),
    ("deploymentCancel",    "!.--++-.+", '(id: "$ProtectedDeployment")'),
    ("deploymentRollback",  "!.-++++++", '(id: "$Deployment")'),
    ("deploymentRollback",  "!.--++-.+", '(id: "$ProtectedDeployment")'),
    ("deploymentPromote",   "!.--++-.+", '(id: "$Deployment", toEnvironmentId: "$ProtectedEnvironment")'),
    ("deploymentPromote",   "!.--++-.+", '(id: "$ProtectedDeployment", toEnvironmentId: "$Environment")'),
    ("quotaSet",            "!.------+", '(input: {organizationId: "$Organization", apps: 3})'),
    ("quotaSet",            "!-------+", '(input: {apps: 3})'),
    ("webhookCreate",       "!.--++--+", '(input: {organizationId: "$Organization", url: "https://8.8.8.8/"})'),
    ("webhookUpdate",       "!.--++--+", '(id: "$Webhook", input: {enabled: false})'),
    ("webhookDelete",       "!.--++--+", '(id: "$Webhook")'),
    ("webhookTest",         "!.--++--+", '(id: "$Webhook")'),
    ("webhookDeliveryRetry", "!.--++--+", '(id: "$WebhookDelivery")'),
    # It pushes as whoever linked it.
    ("appRemoteSet",        "!.-++++-+", '(input: {appId: "$App", host: GITHUB, url: "https://8.8.8.8/web.git"})'),
    ("appRemoteUnset",      "!.-++++-+", '(appId: "$App")'),
    ("tokenCreate",         "!++++++-+", '(input: {name: "new"})'),
    ("tokenCreate",         "!.+++++-+", '(input: {name: "new", permissions: [READ], resourceId: "$Environment"})'),
    # One's own. A limited token ends none but itself.
    ("tokenRevoke",         "!..+....+", '(id: "$ApiToken")'),
    # Only in a browser that is signed in.
    ("passwordChange",      "!++++++++", '(currentPassword: "", newPassword: "correct horse battery")'),
    ("sessionRevoke",       "!..+...-+", '(id: "$Session")'),
    ("identityUnlink",      "!..+...-+", '(id: "$Identity")'),
]

_ORG = "/api/orgs/acme"
_PROJECT = _ORG + "/projects/storefront"
_APP = _PROJECT + "/apps/web"
_INSTANCE, _PROTECTED = _APP + "/envs/staging", _APP + "/envs/production"

ROUTES = [
    #        anonymous, stranger, viewer, developer, admin, owner, member, ci, operator
    ("GET",    "!++++++++", "/api/orgs/", None),
    ("POST",   "!++++++-+", "/api/orgs/", {"slug": "new"}),
    ("GET",    "!.+++++++", _ORG, None),
    ("PATCH",  "!.--++--+", _ORG, {"displayName": "New"}),
    ("DELETE", "!.---+--+", _ORG, None),
    ("GET",    "!.++++--+", _ORG + "/members/", None),
    ("PUT",    "!.--++--+", _ORG + "/members/stranger", {"role": "viewer"}),
    ("DELETE", "!.+-++--+", _ORG + "/members/viewer", None),
    ("GET",    "!.--++--+", _ORG + "/audit-log/", None),
    ("GET",    "!.--++--+", _ORG + "/invitations/", None),
    ("POST",   "!.--++--+", _ORG + "/invitations/", {"email": "new@example.com", "role": "viewer"}),
    ("DELETE", "!.--++--+", _ORG + "/invitations/$Invitation", None),
    ("POST",   "!......-.", "/api/invitations/accept", {"invitation": "of none"}),
    ("GET",    "!.+++++++", _ORG + "/projects/", None),
    ("POST",   "!.--++--+", _ORG + "/projects/", {"slug": "new"}),
    ("GET",    "!.+++++++", _PROJECT, None),
    ("GET",    "!.++++..+", _ORG + "/projects/backoffice", None),
    ("PATCH",  "!.--++--+", _PROJECT, {"displayName": "New"}),
    ("DELETE", "!.--++--+", _PROJECT, None),
    ("POST",   "!.--++--+", _PROJECT + "/restore", None),
    ("GET",    "!.+++++-+", _PROJECT + "/members/", None),
    ("PUT",    "!.--++--+", _PROJECT + "/members/viewer", {"role": "admin"}),
    ("DELETE", "!.--+++-+", _PROJECT + "/members/member", None),
    ("GET",    "!.+++++++", _PROJECT + "/envs/", None),
    ("POST",   "!.-++++-+", _PROJECT + "/envs/", {"slug": "new", "branchPattern": "*"}),
    ("GET",    "!.+++++++", _PROJECT + "/envs/staging", None),
    ("GET",    "!.+++++.+", _PROJECT + "/envs/production", None),
    ("PATCH",  "!.-++++-+", _PROJECT + "/envs/staging", {"branchPattern": "main"}),
    ("PATCH",  "!.--++-.+", _PROJECT + "/envs/production", {"branchPattern": "other"}),
    ("DELETE", "!.--++--+", _PROJECT + "/envs/staging", None),
    ("PUT",    "!.--++--+", _PROJECT + "/envs/staging/protection", {"roles": ["developer"]}),
    ("DELETE", "!.--++-.+", _PROJECT + "/envs/production/protection", None),
    ("GET",    "!.+++++++", _PROJECT + "/preview-rule", None),
    ("PUT",    "!.-++++-+", _PROJECT + "/preview-rule", {"branchPattern": "pr-*", "sourceEnvironment": "staging"}),
    ("DELETE", "!.-++++-+", _PROJECT + "/preview-rule", None),
    ("GET",    "!.+++++++", _PROJECT + "/apps/", None),
    ("POST",   "!.-++++-+", _PROJECT + "/apps/", {"slug": "new"}),
    ("GET",    "!.+++++++", _APP, None),
    ("PATCH",  "!.-++++-+", _APP, {"containerPort": 81}),
    ("DELETE", "!.--++--+", _APP, None),
    ("POST",   "!.-++++++", _APP + "/deployments/", {"ref": "staging"}),
    ("POST",   "!.--++--+", _APP + "/deployments/", {"ref": "main"}),
    ("GET",    "!.--++--+", _ORG + "/webhooks/", None),
    ("POST",   "!.--++--+", _ORG + "/webhooks/", {"url": "https://8.8.8.8/"}),
    ("PATCH",  "!.--++--+", _ORG + "/webhooks/$Webhook", {"enabled": False}),
    ("DELETE", "!.--++--+", _ORG + "/webhooks/$Webhook", None),
    ("POST",   "!.--++--+", _ORG + "/webhooks/$Webhook/test", None),
    ("GET",    "!.--++--+", _ORG + "/webhooks/$Webhook/deliveries/", None),
    ("POST",   "!.--++--+", _ORG + "/webhooks/$Webhook/deliveries/$WebhookDelivery/retry", None),
    ("GET",    "!.+++++++", _APP + "/remote", None),
    ("PUT",    "!.-++++-+", _APP + "/remote", {"host": "github", "url": "https://8.8.8.8/web.git"}),
    ("DELETE", "!.-++++-+", _APP + "/remote", None),
    ("GET",    "!++++++++", "/api/tokens/", None),
    ("POST",   "!++++++-+", "/api/tokens/", {"name": "new"}),
    ("POST",   "!.+++++-+", "/api/tokens/", {"name": "new", "organization": "acme"}),
    ("DELETE", "!..+....+", "/api/tokens/$ApiToken", None),
]
_IN_AN_INSTANCE = [
    # In staging, in production.
    ("GET",    "!.+++++++", "!.+++++.+", "", None),
    ("GET",    "!.+++++++", "!.+++++.+", "/env-vars/", None),
    ("GET",    "!.+++++++", "!.+++++.+", "/env-vars/KEY", None),
    ("PUT",    "!.-++++-+", "!.--++-.+", "/env-vars/A", {"value": "1"}),
    ("DELETE", "!.-++++-+", "!.--++-.+", "/env-vars/KEY", None),
    ("GET",    "!.+++++++", "!.+++++.+", "/scale", None),
    ("PATCH",  "!.-++++-+", "!.--++-.+", "/scale", {"replicas": 2}),
    ("GET",    "!.+++++++", "!.+++++.+", "/pending-changes", None),
    ("POST",   "!.-++++++", "!.--++-.+", "/pending-changes/apply", None),
    ("GET",    "!.+++++++", "!.+++++.+", "/deployments/", None),
    ("POST",   "!.-++++++", "!.--++-.+", "/deployments/", {"ref": "main"}),
    ("GET",    "!.+++++++", "!.+++++.+", "/deployments/1", None),
    ("POST",   "!.-++++++", "!.--++-.+", "/deployments/1/cancel", None),
    ("POST",   "!.-++++++", "!.--++-.+", "/deployments/1/rollback", None),
    ("GET",    "!.+++++++", "!.+++++.+", "/deployments/1/build-log", None),
    ("GET",    "!.+++++++", "!.+++++.+", "/logs", None),
    ("GET",    "!.+++++++", "!.+++++.+", "/logs.txt", None),
]
ROUTES += [
    ("POST",   "!.--++-.+", _INSTANCE + "/deployments/1/promote", {"toEnvironment": "production"}),
    ("POST",   "!.--++-.+", _PROTECTED + "/deployments/1/promote", {"toEnvironment": "staging"}),
    *((method, staging, _INSTANCE + rest, body) for method, staging, _, rest, body in _IN_AN_INSTANCE),
    *((method, kept, _PROTECTED + rest, body) for method, _, kept, rest, body in _IN_AN_INSTANCE),
]

QUERIES = [
    #                anonymous, stranger, viewer, developer, admin, owner, member, ci, operator
    ("viewer",         ".++++++++", "{ viewer { user { id } } }"),
    ("node",           "!.+++++++", '{ node(id: "$Instance") { id } }'),
    ("node",           "!.+++++.+", '{ node(id: "$ProtectedInstance") { id } }'),
    ("nodes",          "!.+++++++", '{ nodes(ids: ["$Instance"]) { id } }'),
    ("resource",       "!.+++++++", '{ resource(path: "acme") { id } }'),
    ("resource",       "!.++++..+", '{ resource(path: "acme/backoffice") { id } }'),
    ("resource",       "!.+++++++", '{ resource(path: "acme/storefront/web/staging") { id } }'),
    ("resource",       "!.+++++.+", '{ resource(path: "acme/storefront/web/production") { id } }'),
    # Null where nothing is limited, as here.
    ("rateLimit",      ".........", "{ rateLimit { __typename } }"),
    ("serverInfo",     "!++++++++", "{ serverInfo { version } }"),
    ("organization",   "!.+++++++", '{ organization(slug: "acme") { id } }'),
    ("organizations",  "!++++++++", "{ organizations { totalCount } }"),
    ("branchMatch",    "!.+++++++", '{ branchMatch(projectId: "$Project", branch: "main") { pattern } }'),
    ("deploymentPlan", "!.+++++++", '{ deploymentPlan(input: {instanceId: "$Instance"}) { fits } }'),
    ("deploymentPlan", "!.+++++.+", '{ deploymentPlan(input: {instanceId: "$ProtectedInstance"}) { fits } }'),
    ("reconcilers",    "!-------+", "{ reconcilers { name } }"),
]

SUBSCRIPTIONS = [
    #                anonymous, stranger, viewer, developer, admin, owner, member, ci, operator
    ("deployment",     "!.+++++++", 'deployment(id: "$Deployment") { id }'),
    ("deployment",     "!.+++++.+", 'deployment(id: "$ProtectedDeployment") { id }'),
    ("deploymentLogs", "!.+++++++", 'deploymentLogs(deploymentId: "$Deployment") { cursor }'),
    ("deploymentLogs", "!.+++++.+", 'deploymentLogs(deploymentId: "$ProtectedDeployment") { cursor }'),
    ("instanceStatus", "!.+++++++", 'instanceStatus(instanceId: "$Instance") { __typename }'),
    ("instanceStatus", "!.+++++.+", 'instanceStatus(instanceId: "$ProtectedInstance") { __typename }'),
    ("instanceEvents", "!.+++++++", 'instanceEvents(instanceId: "$Instance", after: "$Beginning") { __typename }'),
    ("instanceEvents", "!.+++++.+", 'instanceEvents(instanceId: "$ProtectedInstance", after: "$Beginning") { __typename }'),
    ("logs",           "!.+++++++", 'logs(instanceId: "$Instance") { cursor }'),
    ("logs",           "!.+++++.+", 'logs(instanceId: "$ProtectedInstance") { cursor }'),
]

NODES = {
    # Who finds one by its id.
    #              anonymous, stranger, viewer, developer, admin, owner, member, ci, operator
    "ApiToken":          "!..+....+",
    "App":               "!.+++++++",
    "AuditEntry":        "!...++..+",
    "Build":             "!.+++++++",
    "Deployment":        "!.+++++++",
    "Environment":       "!.+++++++",
    "Identity":          "!..+.....",
    "Instance":          "!.+++++++",
    "Invitation":        "!...++..+",
    "Membership":        "!.++++..+",
    "Organization":      "!.+++++++",
    "Project":           "!.+++++++",
    "ProjectMembership": "!.+++++.+",
    "Push":              "!.+++++++",
    "Release":           "!.+++++++",
    "Session":           "!..+.....",
    "User":              "!.++++..+",
    "Webhook":           "!...++..+",
    "WebhookDelivery":   "!...++..+",
}

FIELDS = {
    # What not everybody is shown who sees its object: 0 is null, false or an empty list.
    #               anonymous, stranger, viewer, developer, admin, owner, member, ci, operator
    "Deployment.canPromote":       "  0++++++",
    "Deployment.canRollBackTo":    "  0++++++",
    "EnvVar.value":                "  0++++0+",
    "Organization.auditLog":       "  --++--+",
    "Organization.invitations":    "  --++--+",
    "Organization.members":        "  ++++00+",
    "Organization.quota":          "  ++++00+",
    "Organization.viewerRole":     "  ++++0+0",
    "Organization.webhook":        "  --++--+",
    "Organization.webhooks":       "  --++--+",
    # A token for staging does not see production.
    "Project.defaultEnvironment":  "  +++++0+",
    "Project.members":             "  +++++0+",
    "Project.viewerRole":          "  ++++++0",
}
# fmt: on
