namespace Spectral.Cli.Register;

/// <summary>Says how much of a system of the register there is.</summary>
internal enum SystemState
{
    /// <summary>There is all that belongs to this library.</summary>
    Present,

    /// <summary>Something of it is missing, which the remark names.</summary>
    InPart,

    /// <summary>There is none of it, for the reason in the remark.</summary>
    Missing,
}

/// <summary>A published system that this project set out to have, or that PEFT has.</summary>
/// <param name="Number">The number of its row in the project's register; null: it was added later.</param>
/// <param name="Name">The name of the system.</param>
/// <param name="State">How much of it there is.</param>
/// <param name="Where">
/// What has it, each as a kind and a name with a space between: <c>adapter</c>, <c>optimizer</c>, <c>merge</c>,
/// <c>compress</c> or <c>place</c> with the name of a method, or a command with an option, or a command alone.
/// </param>
/// <param name="Remark">What is missing and why, or what else there is to know; empty: nothing.</param>
internal sealed record RegisteredSystem(
    int? Number,
    string Name,
    SystemState State,
    IReadOnlyList<string> Where,
    string Remark
);
