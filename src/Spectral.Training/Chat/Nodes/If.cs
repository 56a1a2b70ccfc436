using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>Conditions with the statements of the first that holds, and those for none.</summary>
internal sealed class If(KeyValuePair<Expression, Statement[]>[] branches, Statement[] otherwise) : Statement
{
    public override Flow Execute(Scope scope)
    {
        foreach ((Expression condition, Statement[] body) in branches)
        {
            if (Sequences.IsTrue(condition.Evaluate(scope)))
                return Execute(body, scope);
        }
        return Execute(otherwise, scope);
    }
}
