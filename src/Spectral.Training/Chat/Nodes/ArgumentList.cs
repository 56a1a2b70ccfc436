using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>The arguments of a call, as they are written.</summary>
/// <param name="Positional">Those without a name.</param>
/// <param name="Named">Those with one.</param>
/// <param name="Rest">A list of further ones without a name; null: none.</param>
/// <param name="NamedRest">A dict of further ones with a name; null: none.</param>
internal sealed record ArgumentList(
    Expression[] Positional,
    KeyValuePair<string, Expression>[] Named,
    Expression? Rest,
    Expression? NamedRest
)
{
    /// <summary>The list of a call without arguments.</summary>
    public static readonly ArgumentList Empty = new([], [], null, null);

    /// <summary>Returns the values of the arguments.</summary>
    public Arguments Evaluate(Scope scope)
    {
        object?[] positional =
            Positional.Length == 0 ? [] : Array.ConvertAll(Positional, argument => argument.Evaluate(scope));
        KeyValuePair<string, object?>[] named =
            Named.Length == 0
                ? []
                : Array.ConvertAll(Named, pair => KeyValuePair.Create(pair.Key, pair.Value.Evaluate(scope)));
        if (Rest is not null)
            positional = [.. positional, .. Sequences.List(Rest.Evaluate(scope), scope.Rendering.Budget)];
        if (NamedRest?.Evaluate(scope) is { } given)
        {
            if (given is not Mapping mapping)
                throw TemplateError.Type($"argument after ** must be a mapping, not {PythonTypes.Name(given)}");
            named = [.. named, .. mapping.Entries.Select(Keyword)];
        }
        return positional.Length == 0 && named.Length == 0 ? Arguments.None : new Arguments(positional, named);

        static KeyValuePair<string, object?> Keyword(KeyValuePair<object?, object?> entry) =>
            entry.Key is string name
                ? KeyValuePair.Create(name, entry.Value)
                : throw TemplateError.Type("keywords must be strings");
    }
}
