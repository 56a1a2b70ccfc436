namespace Spectral.Kernels.Ops.Dispatch;

/// <summary>
/// Keeps what is forced on each device in place of a rule's choice: by the caller, or else by an environment variable.
/// </summary>
internal sealed class ForcedChoice<T>(string variable, params (string Name, T Value)[] choices)
    where T : struct
{
    /// <summary>
    /// Returns what is forced on a device, or null. The variable is read once per device, at the first call.
    /// </summary>
    /// <exception cref="InvalidOperationException">The variable's value is no choice.</exception>
    public T? On(Device device) => Of(device).Value;

    /// <summary>Forces a choice on a device; null leaves it to the rule, whatever the variable says.</summary>
    public void Force(Device device, T? value) => device.State(this, static _ => new Forced()).Value = value;

    private Forced Of(Device device) =>
        device.State(
            this,
            static choice => new Forced { Value = choice.Parse(Environment.GetEnvironmentVariable(choice.Variable)) }
        );

    private string Variable => variable;

    /// <summary>Returns the choice called <paramref name="name"/>, or null if there is no name.</summary>
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

    /// <summary>Returns the name of a choice.</summary>
    public string NameOf(T value) => choices.First(choice => choice.Value.Equals(value)).Name;

    private sealed class Forced
    {
        public T? Value { get; set; }
    }
}
