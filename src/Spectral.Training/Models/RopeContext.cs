using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>What a config says of rotary angles beside their scaling.</summary>
/// <param name="Config">The fields of the config.</param>
/// <param name="Family">The family of the model.</param>
/// <param name="Theta">The base of the angles.</param>
/// <param name="MaxPositions">The number of positions that the config allows.</param>
/// <param name="Size">The number of features of a head that turn.</param>
internal sealed record RopeContext(JsonFields Config, ModelFamily Family, double Theta, int MaxPositions, int Size);
