-- How Argo CD judges the health of ChatUsers, ChatGroups, ChatRooms and SystemProperties: by the conditions that kstatus goes by.
local health = { status = "Progressing", message = "The operator has not looked at it yet." }
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "It is being deleted."
  return health
end
-- A status that speaks of an older generation says nothing of this one.
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end
local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  health.status = "Degraded"
  health.message = conditions.Stalled.message
elseif conditions.Ready ~= nil then
  health.message = conditions.Ready.message
  if conditions.Ready.status == "True" then
    health.status = "Healthy"
  end
end
return health
