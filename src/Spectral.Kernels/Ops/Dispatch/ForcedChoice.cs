namespace Spectral.Kernels.Ops.Dispatch;

/// <summary>A choice that a rule makes unless the caller, or else an environment variable, forces it.</summary>
internal sealed class ForcedChoice<T>(string variable, params (string Name, T Value)[] choices)
    where T : struct
{
    private T? _value;
    private bool _read;

    /// <summary>What is forced, or null. The variable is read once, when first asked.</summary>
    /// <exception cref="InvalidOperationException">The variable's value is no choice.</exception>
    public T? Value
    {
        get
        {
            if (_read)
                return _value;
            _value = Parse(Environment.GetEnvironmentVariable(variable));
            _read = true;
            return _value;
        }
        set => (_value, _read) = (value, true);
    }

    /// <summary>The choice called <paramref name="name"/>; null for no name.</summary>
    public T? Parse(string? name)
    {
        if (string.IsNullOrEmpty(name))
            return null;
        foreach ((string known, T value) in choices)
        {
            if (known == name)
                return value;
        }

        throw new InvalidOperationException(
            $"{variable} is '{name}', expected {string.Join(" or ", choices.Select(choice => choice.Name))}"
        );
    }

    /// <summary>The name of a choice.</summary>
    public string NameOf(T value) => choices.First(choice => choice.Value.Equals(value)).Name;
}
